/** Puts the reader's local time, with its zone, beside each UTC time. */

/** @param {Document | Element} part */
export function showLocalTimes(part) {
  for (const time of part.querySelectorAll("time[data-local-time]:not([data-shown])")) {
    const at = new Date(/** @type {HTMLTimeElement} */ (time).dateTime);
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    const sameDay = at.getDate() === at.getUTCDate();
    const local = new Intl.DateTimeFormat(document.documentElement.lang, {
      ...(sameDay ? {} : { day: "numeric", month: "short" }),
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "short",
    }).format(at);
    const span = document.createElement("span");
    span.className = "local-time";
    span.textContent = local;
    time.setAttribute("data-shown", "");
    time.append(" ", span);
  }
}
