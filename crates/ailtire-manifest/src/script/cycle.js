// The keys that lead to a value that holds itself; empty where there is none.
0, function (data) {
  'use strict';
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
