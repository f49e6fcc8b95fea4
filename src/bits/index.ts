export {
  addressOf,
  FRAME_BYTES,
  FRAME_WORDS,
  hex,
  hex64,
  hexPage,
  joinHalves,
  offsetOf,
  pageOf,
} from './address.ts';
export { ERROR_CODES, type ErrorCode, type ErrorDetail, PageTableError } from './errors.ts';
