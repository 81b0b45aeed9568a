/**
 * Backend, WebGPU: failures of the device. WebGPU reports them beside the calls that caused them, whose results then mean nothing:
 * whatever reads results asks here first.
 */
import { ExhaustedError } from '../../errors.ts';

const HINT = 'Use --device cpu, a smaller model or prompt, or a smaller --batch-size.';

export class DeviceFaults {
  /** Of the adapter, for messages. */
  private readonly name: string;
  /** The first failure since the last one that was thrown: those after it follow from it. */
  private fault: Error | undefined;
  private loss: Error | undefined;

  constructor(device: GPUDevice, name: string) {
    this.name = name;
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault(); // Dawn would print it on standard output.
      this.fault ??= this.asError(event.error);
    });
    void device.lost.then(({ message }) => (this.loss ??= this.asLoss(message)));
  }

  /** Throws what went wrong on the device since the last call; a lost device for ever. */
  check(): void {
    const { fault, loss } = this;
    this.fault = undefined;
    if (loss ?? fault) throw (loss ?? fault)!;
  }

  private asLoss(message: string): Error {
    return new ExhaustedError({
      code: 'device_lost',
      message: `the WebGPU device was lost (${this.name}): ${message.trim() || 'its driver gave no reason'}`,
      hint: 'Run the command again; if it happens again, use --device cpu or a smaller --batch-size.',
    });
  }

  private asError(error: GPUError): Error {
    // By its name: tests have a realm of their own, in which `instanceof` does not know the class.
    if (error.constructor.name !== 'GPUOutOfMemoryError')
      return new Error(`the WebGPU device (${this.name}) refused a command: ${error.message}`);
    return new ExhaustedError({
      code: 'device_memory',
      message: `the WebGPU device (${this.name}) is out of memory: ${firstLine(error.message)}`,
      hint: HINT,
    });
  }
}

/** What a message of Dawn says, without the calls that led to it. */
export function firstLine(message: string): string {
  return message.split('\n', 1)[0]!;
}
