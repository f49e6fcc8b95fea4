export type { Architecture, Cpu, FrameRange, Machine, NamedRoot, Registers } from './machine.ts';
