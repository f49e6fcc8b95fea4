export { AARCH64_OPTIONS } from './aarch64.ts';
export type { Choice, ControlFlag, FlagOption, Space, TableOptions } from './choice.ts';
export { flipFlag } from './flags.ts';
export { parseCount, parseHex, parseSize } from './parse.ts';
export { RISCV_OPTIONS } from './riscv.ts';
export {
  assumedText,
  choosePaging,
  rootAddress,
  type Session,
  sessionText,
  spaceAt,
  spaceText,
} from './session.ts';
export { X86_OPTIONS } from './x86.ts';
