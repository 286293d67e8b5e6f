// `Date` without the clock, and always in UTC: another machine gives the same dates.
//
// No code of the definition may run while a native function that knows the clock or the time zone
// is on the stack, since the call sites of an error would give it away. So the native constructor
// gets one primitive value and no `new.target`.
0, function (natives) {
  'use strict';
  const { NativeDate, offset, apply, construct, setPrototypeOf, exec, give } = natives;
  const { refuse, changing, toPrimitive } = natives;
  const dates = NativeDate.prototype;
  const { UTC: utc, parse: nativeParse } = NativeDate;
  const { getTime, toUTCString: written } = dates;
  const ordinary = dates[toPrimitive];

  const zoned = /(Z|GMT|UTC|[+-]\d\d:?\d\d)\s*(\([^)]*\))?\s*$/i;
  const dateOnly = /^\s*[+-]?\d{4,6}(-\d\d(-\d\d)?)?\s*$/;
  const matches = (pattern, text) => apply(exec, pattern, [text]) !== null;
  const parse = (text) => {
    const time = nativeParse(text);
    if (matches(zoned, text) || matches(dateOnly, text)) return time;
    return time - apply(offset, construct(NativeDate, [time]), []) * 60000;
  };
  const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';
  const primitive = (value) => {
    if (!isObject(value)) return value;
    try {
      return apply(getTime, value, []);
    } catch {
      // It is no date.
    }
    const convert = value[toPrimitive];
    const converted = convert === undefined || convert === null
      ? apply(ordinary, value, ['number'])
      : apply(convert, value, ['default']);
    if (isObject(converted)) throw new TypeError('a date takes no object that is no primitive value');
    return converted;
  };
  const GuardedDate = function Date(...parts) {
    if (!new.target || parts.length === 0) refuse('the current time', changing);
    let value = parts.length > 1 ? utc(...parts) : primitive(parts[0]);
    if (typeof value === 'string') value = parse(value);
    const date = construct(NativeDate, [value]);
    const { prototype } = new.target;
    if (isObject(prototype)) setPrototypeOf(date, prototype);
    return date;
  };
  GuardedDate.prototype = dates;
  give(GuardedDate, 'UTC', utc, true);
  give(GuardedDate, 'parse', (text) => parse(`${text}`), true);
  give(GuardedDate, 'now', () => refuse('`Date.now()`', changing), true);
  dates.constructor = GuardedDate;
  dates.getTimezoneOffset = () => 0;
  // No iteration: the definition may have changed how it is done.
  const units = ['FullYear', 'Month', 'Date', 'Hours', 'Minutes', 'Seconds', 'Milliseconds'];
  for (let index = 0; index < units.length; index += 1) {
    dates[`get${units[index]}`] = dates[`getUTC${units[index]}`];
    dates[`set${units[index]}`] = dates[`setUTC${units[index]}`];
  }
  dates.getDay = dates.getUTCDay;
  dates.getYear = function () { return this.getUTCFullYear() - 1900; };
  dates.setYear = dates.setUTCFullYear;
  const forms = ['toString', 'toDateString', 'toTimeString', 'toLocaleString',
    'toLocaleDateString', 'toLocaleTimeString'];
  for (let index = 0; index < forms.length; index += 1) {
    dates[forms[index]] = function () { return apply(written, this, []); };
  }
  return GuardedDate;
};
