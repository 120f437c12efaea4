// Numbers as people read them: the same digits that the server writes (api/dashboard/format.py).

const MINUS = "\u2212";

/** Whole numbers beyond this have four digits, as others have. */
const WHOLE = 1e9;

/** Four digits that count, whole numbers whole with their thousands apart, and what is not finite named. */
export function number(value) {
  if (value === null || value === undefined) return "\u2013";
  if (typeof value === "string") return { NaN: "NaN", Infinity: "∞", "-Infinity": `${MINUS}∞` }[value] ?? value;
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  if (Number.isInteger(value) && Math.abs(value) < WHOLE) {
    return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f").replace("-", MINUS);
  }
  const exponent = value === 0 ? 0 : Number(value.toExponential(3).split("e")[1]);
  const [digits, power] =
    exponent < -4 || exponent >= 4
      ? value.toExponential(3).split("e")
      : [value.toFixed(Math.max(0, 3 - exponent)), ""];
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  return (short + (power ? `e${power.replace("+", "")}` : "")).replaceAll("-", MINUS);
}
