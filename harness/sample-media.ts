// Small files that browsers can show, made by arithmetic: pictures, sound, text. For the demo of the page and its tests.
import { crc32, deflateSync } from "node:zlib";

const SAMPLE_RATE = 44_100;
const WAV_HEADER_BYTES = 44;

/** A picture with a gradient of colours, which follow from the seed. */
export function pngPicture(width: number, height: number, seed: number): Buffer {
  const rowBytes = 1 + width * 3;
  const pixels = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * rowBytes + 1 + x * 3;
      const [across, down] = [x / width, y / height];
      const hill = Math.sin(across * 7 + seed) * 0.12 + 0.62 < down ? 0.45 : 1;
      pixels[at] = hill * (90 + 140 * across * Math.abs(Math.sin(seed)));
      pixels[at + 1] = hill * (80 + 110 * down);
      pixels[at + 2] = hill * (120 + 120 * (1 - down) * Math.abs(Math.cos(seed)));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits a channel, RGB
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(pixels)),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

/** So many seconds of a slow arpeggio: 16 bits, one channel. */
export function wavSound(seconds: number): Buffer {
  const sampleCount = SAMPLE_RATE * seconds;
  const bytes = Buffer.alloc(WAV_HEADER_BYTES + sampleCount * 2);
  bytes.write("RIFF", 0, "latin1");
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write("WAVEfmt ", 8, "latin1");
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20); // PCM
  bytes.writeUInt16LE(1, 22); // channels
  bytes.writeUInt32LE(SAMPLE_RATE, 24);
  bytes.writeUInt32LE(SAMPLE_RATE * 2, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36, "latin1");
  bytes.writeUInt32LE(sampleCount * 2, 40);
  const notes = [220, 277.2, 329.6, 440, 329.6, 277.2];
  const noteSamples = SAMPLE_RATE / 2;
  for (let index = 0; index < sampleCount; index++) {
    const frequency = notes[Math.floor(index / noteSamples) % notes.length] ?? 0;
    const fades = 1 - (index % noteSamples) / noteSamples;
    const wave = Math.sin((index / SAMPLE_RATE) * frequency * 2 * Math.PI) * fades;
    bytes.writeInt16LE(Math.round(wave * 12_000), WAV_HEADER_BYTES + index * 2);
  }
  return bytes;
}

function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, "latin1");
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}
