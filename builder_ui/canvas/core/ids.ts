// Fresh ids such as n_8k2m4q3d: made once, never used again.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `${prefix}_${Array.from(bytes, (b) => ALPHABET[b & 31]).join("")}`;
}

/** A random id for a browser tab or a message; works on plain http too, where crypto.randomUUID does not exist. */
export function uuid(): string {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0"));
  hex[6] = "4" + hex[6][1];
  hex[8] = "89ab"[parseInt(hex[8], 16) & 3] + hex[8][1];
  return `${hex.slice(0, 4).join("")}-${hex.slice(4, 6).join("")}-${hex.slice(6, 8).join("")}-${hex.slice(8, 10).join("")}-${hex.slice(10).join("")}`;
}
