export {
  type CaptureOptions,
  capturePath,
  captureTables,
  type FrameReader,
  type LinearBytes,
  type LinearHole,
  readLinear,
} from './capture.ts';
