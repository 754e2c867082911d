/** Packets: a header of 16 bytes, big-endian, then the data (docs/protocol.md §2). */

import { crc32c } from "./crc32c.ts";

export const HEADER_BYTES = 16;
export const MAX_PACKET_BYTES = 16_320;

const KIND = 1;
const FLAG_LAST = 1;

export interface Slice {
  seq: number;
  /** First byte of the document. */
  from: number;
  bytes: number;
  last: boolean;
}

/** A document cut into packets: every one but the last carries `packetBytes`; an empty document is one empty packet. */
export class Layout {
  readonly bytes: number;
  readonly packetBytes: number;
  readonly packets: number;

  constructor(bytes: number, packetBytes: number) {
    this.bytes = bytes;
    this.packetBytes = packetBytes;
    this.packets = Math.max(1, Math.ceil(bytes / packetBytes));
  }

  /** The packet `seq`; none behind the last. */
  slice(seq: number): Slice | undefined {
    if (seq >= this.packets) return undefined;
    const from = seq * this.packetBytes;
    const bytes = Math.min(this.packetBytes, this.bytes - from);
    return { seq, from, bytes, last: seq + 1 === this.packets };
  }

  /** Bytes of all packets below `seq`. */
  bytesBelow(seq: number): number {
    return Math.min(this.bytes, seq * this.packetBytes);
  }
}

/** A packet of an upload, ready for the socket. The printer number is 0 in uploads. */
export function encodePacket(transfer: number, seq: number, last: boolean, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(HEADER_BYTES + data.length);
  const view = new DataView(packet.buffer);
  view.setUint8(0, KIND);
  view.setUint8(1, last ? FLAG_LAST : 0);
  view.setUint16(2, 0);
  view.setUint32(4, transfer);
  view.setUint32(8, seq);
  view.setUint32(12, crc32c(data));
  packet.set(data, HEADER_BYTES);
  return packet;
}
