// `process`, of which there is only `process.env`.
0, function (NativeProxy, environment, refuse) {
  'use strict';
  // Every variable that is read is an input of the result, also one that is not set.
  const own = { __proto__: null };
  const read = (name) => (name in own ? own[name] : environment(name));
  const env = new NativeProxy({}, {
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
  return new NativeProxy({ env }, {
    get(target, name) {
      if (name === 'env') return env;
      if (typeof name === 'symbol' || name in Object.prototype) return target[name];
      return refuse(`\`process.${name}\``, 'of `process` it has only `process.env`');
    },
  });
};
