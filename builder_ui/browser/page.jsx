// What every page needs around it: its title and language, the member's theme, notices, and news of a lost connection.
import "@fontsource-variable/inter";
import "./theme.css";
import { useContext, useEffect, useRef, useState } from "react";
import { Button, Flex, Heading, Text } from "@radix-ui/themes";
import { toast } from "sonner";
import { ColorModeContext } from "$/utils/context-registry";
import { setLanguage, tr, useLanguage } from "../i18n/i18n.js";

const LAST_NOTICE = "patchcord.notice";

export function PageSetup({ title, member, notice }) {
  const language = useLanguage();
  const { setColorMode } = useContext(ColorModeContext);
  const wantedLanguage = member?.language;
  const wantedTheme = member?.theme;

  useEffect(() => {
    document.documentElement.lang = language;
    document.title = title ? `${title} · Patchcord` : "Patchcord";
  }, [language, title]);

  useEffect(() => {
    if (wantedLanguage) setLanguage(wantedLanguage);
  }, [wantedLanguage]);

  useEffect(() => {
    if (wantedTheme) setColorMode(wantedTheme);
  }, [wantedTheme]);

  const id = notice?.id;
  useEffect(() => {
    if (!id || sessionStorage.getItem(LAST_NOTICE) === id) return;
    sessionStorage.setItem(LAST_NOTICE, id);
    const show = notice.level === "error" ? toast.error : toast.success;
    show(tr(language, notice.key, notice.params), { duration: notice.level === "error" ? 9000 : 4000, closeButton: true });
  }, [id]);

  return null;
}

/** A line at the top while the server cannot be reached; says when it is back. */
export function ConnectionBanner({ errors }) {
  const language = useLanguage();
  const lost = errors >= 2;
  const wasLost = useRef(false);
  const [isBack, setIsBack] = useState(false);
  useEffect(() => {
    if (lost) {
      wasLost.current = true;
      setIsBack(false);
      return undefined;
    }
    if (!wasLost.current) return undefined;
    wasLost.current = false;
    setIsBack(true);
    const timer = setTimeout(() => setIsBack(false), 3000);
    return () => clearTimeout(timer);
  }, [lost]);
  return (
    <div role="status" aria-live="polite" className="ps-connection" data-state={lost ? "lost" : isBack ? "back" : "fine"}>
      {lost ? tr(language, "connection.lost") : isBack ? tr(language, "connection.back") : ""}
      {lost ? <button type="button" onClick={() => location.reload()}>{tr(language, "connection.reload")}</button> : null}
    </div>
  );
}

/** Shown instead of a page whose drawing failed; the details go to the console, not to the person. */
export function BrokenPage() {
  const language = useLanguage();
  return (
    <Flex direction="column" align="center" justify="center" gap="3" minHeight="70vh" px="5" role="alert">
      <Heading as="h1" size="6">{tr(language, "broken.title")}</Heading>
      <Text color="gray" align="center">{tr(language, "broken.text")}</Text>
      <Button onClick={() => location.reload()}>{tr(language, "connection.reload")}</Button>
    </Flex>
  );
}
