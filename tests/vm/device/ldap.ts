import { PlombError } from "../../../firmware/core/errors"
import { messageLength, readMessage, readRequest } from "../../../firmware/muc/ldap-message"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"

installDevicePlatform(() => false)

/** A message of a directory; answers id, operation, result, number of values and octets in them, or FF and the error's code. */
function answer(request: Buffer): Buffer {
    try {
        if (request.length === 1) return readRequest(5, "cn=a", "cn")
        messageLength(request, request.length, 4602)
        const message = readMessage(request)
        let total = 0
        for (let i = 0; i < message.values.length; ++i) total += message.values[i].length
        return Buffer.from([
            message.id,
            message.op,
            message.resultCode & 0xff,
            message.values.length,
            total >> 8,
            total & 0xff,
        ])
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        return Buffer.from([0xff, e.code >> 8, e.code & 0xff])
    }
}
serveCases(5000, answer)
