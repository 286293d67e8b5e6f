// What a definition finds around itself. Evaluated before it, in the same sandbox; what the
// definition does to its globals afterwards can harm only itself, since every file and variable
// still comes through `host`, which keeps the trace.
0, function (host, virtualRoot) {
  'use strict';
  const { apply, construct, defineProperty, getOwnPropertyDescriptor, set, setPrototypeOf } = Reflect;
  const { toPrimitive } = Symbol;
  const { exec } = RegExp.prototype;
  const NativeDate = Date;
  const offset = Date.prototype.getTimezoneOffset;
  const NativeProxy = Proxy;

  const refuse = (what, why) => {
    throw new Error(`${what} is not available in a definition: ${why}`);
  };
  const changing = 'the result would change by itself, and could not be cached';
  Math.random = () => refuse('`Math.random()`', changing);

  // Most definitions use none of these, so their texts are compiled on first use, perhaps among
  // intrinsics that the definition has changed: they use those that are handed to them.
  const give = (object, name, value, enumerable) => defineProperty(object, name,
    { __proto__: null, value, writable: true, enumerable, configurable: true });
  const lazy = (name, make) => {
    let made;
    const isLazy = () => getOwnPropertyDescriptor(globalThis, name)?.get === accessor.get;
    const accessor = {
      __proto__: null,
      get() {
        if (made === undefined) made = make();
        if (isLazy()) give(globalThis, name, made, false);
        return made;
      },
      // As an assignment to the property that it stands for.
      set(value) {
        if (this !== globalThis) accessor.get();
        else if (isLazy()) give(globalThis, name, undefined, false);
        if (!isLazy()) set(globalThis, name, value, this);
      },
      enumerable: false,
      configurable: true,
    };
    defineProperty(globalThis, name, accessor);
  };
  lazy('Date', () => host.part('date')(
    { NativeDate, offset, apply, construct, setPrototypeOf, exec, give, refuse, changing, toPrimitive }));
  lazy('process', () => host.part('process')(NativeProxy, host.environment, refuse));
  lazy('console', () => host.part('console')(host.log, give));

  const modules = new Map();
  const virtual = (path) => (path === '' ? virtualRoot : `${virtualRoot}/${path}`);
  const directoryOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf('/')));
  let pathModule;

  const requireFrom = (base) => (specifier) => {
    if (typeof specifier !== 'string') throw new TypeError('`require` takes a string');
    if (specifier === 'path' || specifier === 'node:path') {
      pathModule ??= host.part('path')(virtualRoot);
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

  return (path, text, parameters) => {
    let data = load(path, text).exports;
    const called = typeof data === 'function';
    if (called) data = data(parameters);
    const dropped = [];
    if (typeof data === 'object' && data !== null) {
      for (const key of Object.keys(data)) if (typeof data[key] === 'function') dropped.push(key);
    }
    return [data, called, dropped];
  };
};
