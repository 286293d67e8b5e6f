// `console`, whose lines become notes.
0, function (log, give) {
  'use strict';
  const show = (value) => {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return String(value);
    if (typeof value === 'object' && value !== null) {
      try {
        return JSON.stringify(value) ?? String(value);
      } catch {
        return Object.prototype.toString.call(value);
      }
    }
    return String(value);
  };
  const console = {};
  // No iteration: the definition may have changed how it is done.
  const levels = ['log', 'info', 'debug', 'warn', 'error', 'trace', 'dir'];
  for (let index = 0; index < levels.length; index += 1) {
    const write = (...values) => log(values.map(show).join(' '), new Error().stack);
    give(console, levels[index], write, true);
  }
  const silent = ['assert', 'group', 'groupEnd', 'time', 'timeEnd', 'table', 'count'];
  for (let index = 0; index < silent.length; index += 1) give(console, silent[index], () => {}, true);
  return console;
};
