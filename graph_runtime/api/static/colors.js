/* The agent's accent colour, and what can be read on it and beside it (WCAG contrast of at least 4.5). */

const LIGHT = [255, 255, 255];
const DARK = [24, 25, 27];
const INK = [28, 32, 36];

function parse(hex) {
  const found = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(String(hex ?? "").trim());
  if (!found) return null;
  const digits = found[1].length === 3 ? [...found[1]].map((d) => d + d).join("") : found[1];
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function toward(rgb, goal, share) {
  return rgb.map((part, i) => Math.round(part + (goal[i] - part) * share));
}

/** The colour itself or the nearest shade of it that can be read on `ground`. */
function readable(rgb, ground) {
  const goal = luminance(ground) > 0.5 ? [0, 0, 0] : LIGHT;
  for (let share = 0; share < 1; share += 0.05) {
    const shade = toward(rgb, goal, share);
    if (contrast(shade, ground) >= 4.6) return shade;
  }
  return goal;
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;

/** Colours for an accent: {accent, ink, onLight, onDark} as CSS. A colour on which neither black nor white
 * can be read is darkened until white can. */
export function palette(hex) {
  let accent = parse(hex) ?? parse("#5b5bd6");
  let ink = contrast(accent, LIGHT) >= 4.5 ? LIGHT : INK;
  if (contrast(accent, ink) < 4.5) {
    accent = readable(accent, LIGHT);
    ink = LIGHT;
  }
  return {
    accent: css(accent),
    ink: css(ink),
    onLight: css(readable(accent, [246, 246, 249])),
    onDark: css(readable(accent, [39, 42, 45])),
  };
}

export function paint(hex, element = document.documentElement) {
  const colors = palette(hex);
  element.style.setProperty("--accent", colors.accent);
  element.style.setProperty("--accent-ink", colors.ink);
  element.style.setProperty("--accent-on-light", colors.onLight);
  element.style.setProperty("--accent-on-dark", colors.onDark);
  return colors;
}

export { DARK, LIGHT, parse };
