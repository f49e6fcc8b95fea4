export {
  addressOf,
  FRAME_BYTES,
  FRAME_SHIFT,
  FRAME_WORDS,
  hex,
  hex64,
  hexPage,
  joinHalves,
  offsetOf,
  pageOf,
  TWO_32,
} from './address.ts';
export { ERROR_CODES, type ErrorCode, type ErrorDetail, PageTableError } from './errors.ts';
