// What a definition finds around itself. Evaluated before it, in the same sandbox; what the
// definition does to its globals afterwards can harm only itself, since every file and variable
// still comes through `host`, which keeps the trace.
(function (host, virtualRoot) {
  'use strict';
  const { construct, ownKeys } = Reflect;
  const NativeDate = Date;
  const utc = NativeDate.UTC;

  const refuse = (what, why) => {
    throw new Error(`${what} is not available in a definition: ${why}`);
  };
  const changing = 'the result would change by itself, and could not be cached';

  // The clock is refused, and the time zone is always UTC: another machine gives the same dates.
  const zoned = /(Z|GMT|UTC|[+-]\d\d:?\d\d)\s*(\([^)]*\))?\s*$/i;
  const dateOnly = /^\s*[+-]?\d{4,6}(-\d\d(-\d\d)?)?\s*$/;
  const parse = (text) => {
    const time = NativeDate.parse(text);
    if (zoned.test(text) || dateOnly.test(text)) return time;
    return time - offset.call(new NativeDate(time)) * 60000;
  };
  const offset = NativeDate.prototype.getTimezoneOffset;
  const GuardedDate = function Date(...parts) {
    if (!new.target || parts.length === 0) refuse('the current time', changing);
    const [first] = parts;
    let value = first;
    if (parts.length > 1) value = utc(...parts);
    else if (typeof first === 'string') value = parse(first);
    return construct(NativeDate, [value], new.target);
  };
  GuardedDate.prototype = NativeDate.prototype;
  GuardedDate.UTC = utc;
  GuardedDate.parse = (text) => parse(String(text));
  GuardedDate.now = () => refuse('`Date.now()`', changing);
  const dates = NativeDate.prototype;
  dates.constructor = GuardedDate;
  dates.getTimezoneOffset = () => 0;
  for (const unit of ['FullYear', 'Month', 'Date', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
    dates[`get${unit}`] = dates[`getUTC${unit}`];
    dates[`set${unit}`] = dates[`setUTC${unit}`];
  }
  dates.getDay = dates.getUTCDay;
  dates.getYear = function () { return this.getUTCFullYear() - 1900; };
  dates.setYear = dates.setUTCFullYear;
  const iso = dates.toISOString;
  const written = dates.toUTCString;
  for (const form of ['toString', 'toDateString', 'toTimeString', 'toLocaleString',
    'toLocaleDateString', 'toLocaleTimeString']) {
    dates[form] = function () { return written.call(this); };
  }
  globalThis.Date = GuardedDate;
  Math.random = () => refuse('`Math.random()`', changing);

  // Every variable that is read is an input of the result, also one that is not set.
  const own = Object.create(null);
  const read = (name) => (name in own ? own[name] : host.environment(name));
  const env = new Proxy({}, {
    get(target, name) {
      if (typeof name === 'symbol') return undefined;
      const value = read(name);
      return value === undefined ? Object.prototype[name] : value;
    },
    has: (target, name) => typeof name !== 'symbol' && read(name) !== undefined,
    set(target, name, value) {
      own[name] = String(value);
      return true;
    },
    deleteProperty(target, name) {
      own[name] = undefined;
      return true;
    },
    getOwnPropertyDescriptor(target, name) {
      const value = typeof name === 'symbol' ? undefined : read(name);
      return value === undefined
        ? undefined
        : { value, writable: true, enumerable: true, configurable: true };
    },
    defineProperty: () => refuse('`Object.defineProperty(process.env, …)`', 'assign instead'),
    ownKeys: () => refuse('listing `process.env`',
      'the result would depend on every variable of the machine; read the ones it needs by name'),
  });
  const processProxy = new Proxy({ env }, {
    get(target, name) {
      if (name === 'env') return env;
      if (typeof name === 'symbol' || name in Object.prototype) return target[name];
      return refuse(`\`process.${name}\``, 'of `process` it has only `process.env`');
    },
  });
  Object.defineProperty(globalThis, 'process', { value: processProxy, writable: true, configurable: true });

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
  const consoleObject = {};
  for (const level of ['log', 'info', 'debug', 'warn', 'error', 'trace', 'dir']) {
    consoleObject[level] = (...values) => host.log(values.map(show).join(' '), new Error().stack);
  }
  for (const silent of ['assert', 'group', 'groupEnd', 'time', 'timeEnd', 'table', 'count']) {
    consoleObject[silent] = () => {};
  }
  Object.defineProperty(globalThis, 'console', { value: consoleObject, writable: true, configurable: true });

  const modules = new Map();
  const virtual = (path) => (path === '' ? virtualRoot : `${virtualRoot}/${path}`);
  const directoryOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf('/')));
  let pathModule;

  const requireFrom = (base) => (specifier) => {
    if (typeof specifier !== 'string') throw new TypeError('`require` takes a string');
    if (specifier === 'path' || specifier === 'node:path') {
      pathModule ??= host.path(virtualRoot);
      return pathModule;
    }
    const [path, text] = host.load(base, specifier);
    return load(path, text).exports;
  };

  const load = (path, text) => {
    const known = modules.get(path);
    if (known) return known;
    const module = { exports: {}, id: virtual(path), filename: virtual(path), loaded: false };
    modules.set(path, module);
    if (path.endsWith('.json')) {
      module.exports = host.json(path, text);
    } else {
      const directory = directoryOf(path);
      const require = requireFrom(directory);
      try {
        const body = host.compile(path, text);
        body.call(module.exports, module.exports, require, module, virtual(path), virtual(directory));
      } catch (error) {
        modules.delete(path);
        throw error;
      }
    }
    module.loaded = true;
    return module;
  };

  // The keys that lead to a value that holds itself; empty where there is none.
  const cycle = (data) => {
    const open = new Set();
    const closed = new Set();
    const keys = [];
    const walk = (value) => {
      if (typeof value !== 'object' || value === null || closed.has(value)) return '';
      if (open.has(value)) return keys.join('.') || 'module.exports';
      open.add(value);
      for (const key of Object.keys(value)) {
        keys.push(key);
        const found = walk(value[key]);
        keys.pop();
        if (found) return found;
      }
      open.delete(value);
      closed.add(value);
      return '';
    };
    return walk(data);
  };

  return (path, text, parameters) => {
    let data = load(path, text).exports;
    const called = typeof data === 'function';
    if (called) data = data(parameters);
    const dropped = [];
    if (typeof data === 'object' && data !== null) {
      for (const key of Object.keys(data)) if (typeof data[key] === 'function') dropped.push(key);
    }
    return [data, called, dropped, cycle];
  };
});
