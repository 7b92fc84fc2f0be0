// Numbers, sizes and times as people read them, in the language of the page.

export function language() {
  return document.documentElement.lang || "en";
}

export function number(value, digits = 0) {
  const options = { maximumFractionDigits: digits };
  return new Intl.NumberFormat(language(), options).format(value);
}

export function bytes(value) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(language(), {
    style: "unit",
    unit: units[unit],
    unitDisplay: "short",
    maximumFractionDigits: size < 10 && unit > 0 ? 1 : 0,
  }).format(size);
}

export function percent(share) {
  const options = { style: "percent", maximumFractionDigits: share < 0.01 && share > 0 ? 1 : 0 };
  return new Intl.NumberFormat(language(), options).format(share);
}

export function moment(text) {
  const options = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(language(), options).format(new Date(text));
}

export function hourAndMinute(date) {
  return new Intl.DateTimeFormat(language(), { timeStyle: "short" }).format(date);
}

// Seconds as "3 min", "1 h 20 min"; never more exact than it can be known.
export function duration(seconds) {
  const unit = (value, name) =>
    new Intl.NumberFormat(language(), { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  if (seconds < 60) {
    return unit(Math.max(1, Math.round(seconds)), "second");
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return unit(minutes, "minute");
  }
  const rest = minutes % 60;
  const hours = unit(Math.floor(minutes / 60), "hour");
  return rest && minutes < 600 ? `${hours} ${unit(rest, "minute")}` : hours;
}

export function daysUntil(text, now = Date.now()) {
  return Math.max(0, Math.ceil((new Date(text).getTime() - now) / 86_400_000));
}
