import { CRC_BAD, crc16 } from "../../firmware/core/crc16"
import { readFile } from "../../firmware/core/sml-read"
import { GET_LIST_RES } from "../../firmware/core/sml-tables"
import { behindAt, childrenAt, octetsAt, valueAt } from "../../firmware/core/sml-values"

/**
 * What a forger would do: changes one bit of the energy register 1-0:1.8.0 and mends the message's and the
 * file's CRC, so that nothing but the signature stands against it. The file must hold no doubled escape.
 */
export function forgeRegister(sml: Buffer): Buffer {
    const forged = Buffer.from(sml)
    const message = readFile(forged, false, CRC_BAD).messages.find(each => each.tag === GET_LIST_RES)
    if (!message) throw new Error("there is no GetList.Res in this file")
    const entry = childrenAt(forged, message.fields[4]).find(
        at => octetsAt(forged, childrenAt(forged, at)[0]).toString("hex") === "0100010800ff",
    )
    if (entry === undefined) throw new Error("there is no 1-0:1.8.0 in this list")
    const value = childrenAt(forged, entry)[5]
    forged[behindAt(forged, value) - 1] ^= 1
    const crcAt = childrenAt(forged, message.start)[4]
    const messageCrc = crc16(forged, message.start, crcAt, 0xffff) ^ 0xffff
    forged.writeUInt16LE(messageCrc, valueAt(forged, crcAt))
    forged.writeUInt16LE(crc16(forged, 0, forged.length - 2, 0xffff) ^ 0xffff, forged.length - 2)
    return forged
}
