// Texts of the side panels, the check, the test drawer and publishing, put together.
import { TEXTS as FIELDS } from "./panels_fields";
import { TEXTS as INSPECTOR } from "./panels_inspector";
import { TEXTS as TEST } from "./panels_test";

export const TEXTS = { ...FIELDS, ...INSPECTOR, ...TEST };
