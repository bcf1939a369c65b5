// What is written into a field of the connected system: one of its own choices where it has some, else a text with data.
import { useContext, useState } from "react";
import { t } from "../core/i18n";
import { asText, Beside, useForm, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";
import { useRemote, type Offered } from "./remote_field";
import { TemplateField } from "./template_field";

const OWN = "__own__";

function choicesOf(field: Offered | undefined): Option[] {
  if (field?.kind === "boolean") return [["true", t("fields.yes")], ["false", t("fields.no")]];
  return field?.options ?? [];
}

export function RemoteValue(props: WidgetProps) {
  const { id, value, describedBy, onChange } = props;
  const { disabled } = useForm();
  const beside = useContext(Beside);
  const { offered } = useRemote("crm.fields");
  const choices = choicesOf(offered?.find((o) => o.id === asText(beside.field)));
  const text = asText(value);
  // Labels are understood as well: that is how somebody writes it who types.
  const chosen = choices.find(([v, label]) => v === text || label.toLowerCase() === text.trim().toLowerCase());
  const [isOwn, setOwn] = useState(false);
  if (!choices.length) return <TemplateField {...props} />;
  const isTyped = isOwn || (!!text && !chosen);
  const options: Option[] = [["", t("remote.choose_value")], ...choices, [OWN, t("remote.own")]];
  return (
    <>
      <Select value={isTyped ? OWN : chosen?.[0] ?? ""} label={props.field.label} options={options} describedBy={describedBy} disabled={disabled}
        onChange={(v) => {
          setOwn(v === OWN);
          if (v !== OWN || chosen) onChange(v === OWN ? "" : v);
        }} />
      {isTyped && <TemplateField {...props} id={id} />}
    </>
  );
}
