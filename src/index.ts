export * from './bits/index.ts';
export * from './capture/index.ts';
export * from './format/index.ts';
export * from './inspect/index.ts';
export * from './machine/index.ts';
export * from './memory/index.ts';
export * from './walk/index.ts';
