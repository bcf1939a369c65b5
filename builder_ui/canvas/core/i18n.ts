// Interface texts in English, Russian and Ukrainian. A row without all three languages does not compile.
import { TEXTS as BOARD } from "../texts/board";
import { TEXTS as PANELS } from "../texts/panels";
import { TEXTS as SCREEN } from "../texts/screen";
import type { Lang, Words } from "./types";

export type Row = readonly [en: string, ru: string, uk: string];
const ALL = { ...SCREEN, ...BOARD, ...PANELS };
export type TextKey = keyof typeof ALL;

const ORDER: Lang[] = ["en", "ru", "uk"];
let language: Lang = "en";
let plural = new Intl.PluralRules("en");

export function setLanguage(code: string | undefined): Lang {
  language = ORDER.includes(code as Lang) ? (code as Lang) : "en";
  plural = new Intl.PluralRules(language);
  return language;
}

export const currentLanguage = (): Lang => language;

/**
 * The text in the present language. `{name}` is replaced by a parameter; `{n|step|steps}` by the form that fits the
 * number `n` (two forms in English, three in Russian and Ukrainian).
 */
export function t(key: TextKey, params: Record<string, string | number> = {}): string {
  const text: string = ALL[key][ORDER.indexOf(language)];
  return text.replace(/\{(\w+)((?:\|[^}|]*)*)\}/g, (whole, name: string, forms: string) => {
    if (!(name in params)) return whole;
    if (!forms) return String(params[name]);
    const choices = forms.slice(1).split("|");
    const wanted = plural.select(Number(params[name]));
    const index = language === "en" ? (wanted === "one" ? 0 : 1) : wanted === "one" ? 0 : wanted === "few" ? 1 : 2;
    return choices[Math.min(index, choices.length - 1)];
  });
}

/** The present language's words of a text that comes in all three. */
export const words = (text: Words | undefined): string => text?.[language] || text?.en || "";

/** 340 ms, 2,1 s: in the manner of the language. */
export function duration(ms: number, language: string): string {
  const unit = ms < 1000 ? "millisecond" : "second";
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: ms < 1000 ? 0 : 1 }).format(ms < 1000 ? ms : ms / 1000);
}
