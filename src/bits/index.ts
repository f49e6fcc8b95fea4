export {
  addressOf,
  FRAME_BYTES,
  FRAME_WORDS,
  hex,
  hex64,
  hexPage,
  offsetOf,
  pageOf,
} from './address.ts';
export { ERROR_CODES, type ErrorCode, type ErrorDetail, PageTableError } from './errors.ts';
export { highHalf, joinHalves, lowHalf } from './halves.ts';
