import { serveCases } from "../../../tools/vm/device/serve"

function answer(request: Buffer): Buffer {
    if (request[0] === 0xee) throw new Error("asked to fail")
    if (request[0] === 0xdd) for (;;) request[0] = 0
    const reply = Buffer.alloc(request.length)
    for (let i = 0; i < request.length; ++i) reply[i] = request[i] ^ 0xff
    return reply
}

serveCases(512, answer)
