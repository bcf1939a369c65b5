// Texts of the side panels, the check, the test drawer and publishing, put together.
import { TEXTS as CONNECTIONS } from "./panels_connections";
import { TEXTS as FIELDS } from "./panels_fields";
import { TEXTS as INSPECTOR } from "./panels_inspector";
import { TEXTS as TEST } from "./panels_test";
import { TEXTS as VOICE } from "./panels_voice";

export const TEXTS = { ...CONNECTIONS, ...FIELDS, ...INSPECTOR, ...TEST, ...VOICE };
