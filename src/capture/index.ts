export {
  type CaptureOptions,
  capturePath,
  captureTables,
  type FrameReader,
  type LinearBytes,
  type LinearHole,
  MAX_LINEAR_READ,
  readLinear,
} from './capture.ts';
