// Signing in and out: the browser posts to the API itself, because only an answer of the API can set an HttpOnly cookie.
import { useEffect, useId, useState } from "react";
import { Button, Callout, Flex, IconButton, Select, Text, TextField } from "@radix-ui/themes";
import { Eye, EyeOff, TriangleAlert } from "lucide-react";
import { setLanguage, tr, useLanguage } from "../i18n/i18n.js";

async function send(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body ? { "Content-Type": "application/json", Accept: "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    return { ok: false, code: "offline" };
  }
  if (answer.ok) return { ok: true };
  const problem = await answer.json().catch(() => ({}));
  const code = problem.code || { 401: "not_signed_in", 409: "conflict", 422: "input_invalid", 429: "rate_limited" }[answer.status] || "error";
  return { ok: false, code, field: problem.params?.field || problem.field || "" };
}

/** Only a path of this site may follow signing in. */
export function returnPath(search) {
  const wanted = new URLSearchParams(search).get("next") || "/";
  return /^\/(?![/\\])/.test(wanted) && !/^\/(login|setup)\b/.test(wanted) ? wanted : "/";
}

export async function signOut() {
  await send("DELETE", "/api/session");
  location.assign("/login");
}

function Field({ label, hint, error, children }) {
  const id = useId();
  const note = error || hint;
  return (
    <div className="ps-field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-invalid": error ? true : undefined, "aria-describedby": note ? `${id}-note` : undefined })}
      {note ? (
        <Text as="p" size="1" id={`${id}-note`} color={error ? "red" : "gray"} role={error ? "alert" : undefined}>
          {note}
        </Text>
      ) : null}
    </div>
  );
}

function PasswordInput({ language, ...props }) {
  const [shown, setShown] = useState(false);
  return (
    <TextField.Root size="3" type={shown ? "text" : "password"} name="password" {...props}>
      <TextField.Slot side="right">
        <IconButton
          type="button" variant="ghost" color="gray" size="2"
          aria-label={tr(language, shown ? "field.hide_password" : "field.show_password")}
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
        >
          {shown ? <EyeOff size={16} aria-hidden /> : <Eye size={16} aria-hidden />}
        </IconButton>
      </TextField.Slot>
    </TextField.Root>
  );
}

function Trouble({ language, code }) {
  if (!code) return null;
  return (
    <Callout.Root color="red" size="1" role="alert">
      <Callout.Icon><TriangleAlert size={16} aria-hidden /></Callout.Icon>
      <Callout.Text>{tr(language, `error.${code}`, { otherwise: tr(language, "error.error") })}</Callout.Text>
    </Callout.Root>
  );
}

function useSending(path, check, after) {
  const [state, setState] = useState({ working: false, code: "", errors: {} });
  const submit = async (event) => {
    event.preventDefault();
    if (state.working) return;
    const form = event.currentTarget;
    const values = Object.fromEntries(new FormData(form));
    const errors = check(values);
    const first = Object.keys(errors)[0];
    if (first) {
      setState({ working: false, code: "", errors });
      form.elements[first]?.focus();
      return;
    }
    setState({ working: true, code: "", errors: {} });
    const answer = await send("POST", path, values);
    if (answer.ok) {
      after(values);
      return;
    }
    setState({ working: false, code: answer.code, errors: answer.field ? { [answer.field]: `error.${answer.code}` } : {} });
    form.elements.password?.focus();
  };
  return [state, submit];
}

const looksLikeEmail = (value) => /^[^@\s]+@[^@\s]+$/.test(value || "");

export function SignInForm() {
  const language = useLanguage();
  // Read after the first drawing, which must be the one that was built: its address has no question mark.
  const [search, setSearch] = useState("");
  useEffect(() => setSearch(location.search), []);
  const check = (v) => ({
    ...(looksLikeEmail(v.email) ? {} : { email: v.email ? "error.email" : "error.required" }),
    ...(v.password ? {} : { password: "error.required" }),
  });
  const [state, submit] = useSending("/api/session", check, () => location.assign(returnPath(location.search)));
  const said = (name) => (state.errors[name] ? tr(language, state.errors[name]) : "");
  return (
    <form onSubmit={submit} noValidate>
      <Flex direction="column" gap="4">
        {new URLSearchParams(search).has("expired") && !state.code ? (
          <Callout.Root size="1" role="status"><Callout.Text>{tr(language, "login.expired")}</Callout.Text></Callout.Root>
        ) : null}
        <Trouble language={language} code={state.code} />
        <Field label={tr(language, "field.email")} error={said("email")}>
          {(props) => <TextField.Root size="3" type="email" name="email" autoComplete="username" autoFocus {...props} />}
        </Field>
        <Field label={tr(language, "field.password")} error={said("password")}>
          {(props) => <PasswordInput language={language} autoComplete="current-password" {...props} />}
        </Field>
        <Button size="3" type="submit" loading={state.working} data-testid="sign-in">{tr(language, "login.submit")}</Button>
        <Text size="1" color="gray">{tr(language, "login.forgot")}</Text>
      </Flex>
    </form>
  );
}

export function OwnerForm() {
  const language = useLanguage();
  const check = (v) => {
    const errors = {};
    for (const name of ["workspace", "name", "email", "password"]) if (!v[name]?.trim()) errors[name] = "error.required";
    if (!errors.email && !looksLikeEmail(v.email)) errors.email = "error.email";
    if (!errors.password && v.password.length < 10) errors.password = "error.password_short";
    return errors;
  };
  const [state, submit] = useSending("/api/owner", check, () => location.assign("/"));
  const said = (name) => (state.errors[name] ? tr(language, state.errors[name]) : "");
  return (
    <form onSubmit={submit} noValidate>
      <Flex direction="column" gap="4">
        <Trouble language={language} code={state.code} />
        <Field label={tr(language, "setup.workspace")} hint={tr(language, "setup.workspace_hint")} error={said("workspace")}>
          {(props) => <TextField.Root size="3" name="workspace" autoComplete="organization" autoFocus {...props} />}
        </Field>
        <Field label={tr(language, "setup.name")} error={said("name")}>
          {(props) => <TextField.Root size="3" name="name" autoComplete="name" {...props} />}
        </Field>
        <Field label={tr(language, "field.email")} error={said("email")}>
          {(props) => <TextField.Root size="3" type="email" name="email" autoComplete="username" {...props} />}
        </Field>
        <Field label={tr(language, "field.password")} hint={tr(language, "field.password_hint")} error={said("password")}>
          {(props) => <PasswordInput language={language} autoComplete="new-password" {...props} />}
        </Field>
        <input type="hidden" name="language" value={language} />
        <Button size="3" type="submit" loading={state.working} data-testid="create-owner">{tr(language, "setup.submit")}</Button>
        <Text size="1" color="gray">{tr(language, "setup.next")}</Text>
      </Flex>
    </form>
  );
}

const NAMES = { en: "English", ru: "Русский", uk: "Українська" };

export function LanguageChoice() {
  const language = useLanguage();
  return (
    <Select.Root value={language} onValueChange={setLanguage} size="2">
      <Select.Trigger variant="ghost" color="gray" aria-label={tr(language, "field.language")} data-testid="language" />
      <Select.Content>
        {Object.entries(NAMES).map(([code, name]) => <Select.Item key={code} value={code}>{name}</Select.Item>)}
      </Select.Content>
    </Select.Root>
  );
}
