// Choosing a chain of follow-ups; the list is asked for when the field is first shown.
import { ExternalLink } from "lucide-react";
import { useEffect, useState } from "react";
import { api } from "../core/api";
import { t } from "../core/i18n";
import { asText, type WidgetProps } from "./form_context";
import { Select, type Option } from "./inputs";

type Chain = { id: string; name: string; is_on: boolean };

export function ChainField({ id, field, value, describedBy, onChange }: WidgetProps) {
  const [chains, setChains] = useState<Chain[]>([]);
  useEffect(() => {
    let isHere = true;
    api.chains().then((found) => isHere && setChains(found.chains), () => undefined);
    return () => {
      isHere = false;
    };
  }, []);
  const chosen = asText(value);
  const known = chains.some((c) => c.id === chosen);
  const options: Option[] = [
    ["", field.required ? t("fields.choose") : t("chain.all")],
    ...chains.map((c): Option => [c.id, c.is_on ? c.name : t("chain.off", { name: c.name })]),
    ...(chosen && !known ? [[chosen, t("chain.unknown")] as Option] : []),
  ];
  return (
    <>
      <Select id={id} value={chosen} options={options} describedBy={describedBy} onChange={(v) => onChange(v)} />
      <div className="pp-buttons">
        <a className="pp-add" href={known ? `/follow-ups/${chosen}` : "/follow-ups"} target="_blank" rel="noreferrer">
          <ExternalLink size={14} aria-hidden="true" />{t("chain.open")}
        </a>
      </div>
    </>
  );
}
