// `require('path')`: Node's module for POSIX paths, as far as definitions use it.
(function (virtualRoot) {
  'use strict';
  const text = (value) => {
    if (typeof value !== 'string') throw new TypeError('a path must be a string');
    return value;
  };
  const simplify = (path, absolute) => {
    const parts = [];
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      if (part !== '..') parts.push(part);
      else if (parts.length && parts[parts.length - 1] !== '..') parts.pop();
      else if (!absolute) parts.push('..');
    }
    return parts.join('/');
  };
  const normalize = (path) => {
    if (text(path) === '') return '.';
    const absolute = path.startsWith('/');
    const slash = path.endsWith('/') ? '/' : '';
    const simple = simplify(path, absolute);
    if (absolute) return simple ? `/${simple}${slash}` : '/';
    return simple ? simple + slash : `.${slash}`;
  };
  const resolve = (...paths) => {
    let result = '';
    for (const path of [virtualRoot, ...paths]) {
      if (text(path) !== '') result = path.startsWith('/') ? path : `${result}/${path}`;
    }
    return `/${simplify(result, true)}`;
  };
  const withoutSlashes = (path) => path.replace(/\/+$/, '');
  const basename = (path, suffix) => {
    const bare = withoutSlashes(text(path));
    const base = bare.slice(bare.lastIndexOf('/') + 1);
    const cut = suffix !== undefined && base !== suffix && base.endsWith(suffix);
    return cut ? base.slice(0, -suffix.length) : base;
  };
  const dirname = (path) => {
    const bare = withoutSlashes(text(path));
    if (bare === '') return path.startsWith('/') ? '/' : '.';
    const slash = bare.lastIndexOf('/');
    if (slash < 0) return '.';
    return withoutSlashes(bare.slice(0, slash)) || '/';
  };
  const extname = (path) => {
    const base = basename(path);
    const dot = base.lastIndexOf('.');
    return dot <= 0 || base === '..' ? '' : base.slice(dot);
  };
  const path = {
    sep: '/',
    delimiter: ':',
    normalize,
    resolve,
    basename,
    dirname,
    extname,
    join: (...paths) => normalize(paths.filter((part) => text(part) !== '').join('/')),
    isAbsolute: (value) => text(value).startsWith('/'),
    relative(from, to) {
      const source = resolve(from).split('/').filter(Boolean);
      const target = resolve(to).split('/').filter(Boolean);
      let same = 0;
      while (same < source.length && same < target.length && source[same] === target[same]) same += 1;
      return [...source.slice(same).map(() => '..'), ...target.slice(same)].join('/');
    },
    parse(value) {
      const base = basename(value);
      const ext = extname(value);
      const root = value.startsWith('/') ? '/' : '';
      const named = value.includes('/') ? dirname(value) : '';
      return { root, dir: named, base, ext, name: ext ? base.slice(0, -ext.length) : base };
    },
    format({ dir, root, base, name = '', ext = '' }) {
      const file = base ?? `${name}${ext}`;
      if (!dir) return `${root ?? ''}${file}`;
      return dir === root ? `${dir}${file}` : `${dir}/${file}`;
    },
  };
  path.posix = path;
  return path;
});
