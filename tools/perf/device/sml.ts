import * as ds from "@devicescript/core"
import { cut } from "../../../firmware/core/octets"
import { SignedListFields, signedListRes, writeSignedList } from "../../../firmware/core/signed-list"
import { closeRes, openRes } from "../../../firmware/core/sml-messages"
import { readFile } from "../../../firmware/core/sml-read"
import { SmlReceiver } from "../../../firmware/core/sml-receive"
import { writeFile } from "../../../firmware/core/sml-transport"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../vm/device/serve"

/** Request: what to do, how often U16 LE, octets of a file. 0 nothing, 1 read strictly, 2 receive in one piece, 3 write a signed list. */
installDevicePlatform(() => false)
serveCases(2000, request => {
    const what = request[0]
    const turns = request.getAt(1, "u16")
    const raw = cut(request, 3, request.length - 3)
    const receiver = new SmlReceiver(
        1024,
        false,
        () => {},
        () => {},
    )
    const fields = new SignedListFields()
    fields.serverId = hex`0a01504c420100000001`
    fields.software = Buffer.from("plomb-meter 0.1.0")
    fields.checksum = Buffer.alloc(32)
    fields.previous = Buffer.alloc(32)
    fields.timeQuality = 2
    fields.seconds = 1700000000
    fields.drawn = 1234567890
    const signature = Buffer.alloc(64)
    let done = raw
    for (let i = 0; i < turns; ++i) {
        if (what === 1) readFile(raw, false, 0)
        else if (what === 2) receiver.feed(raw)
        else if (what === 3)
            done = writeFile([
                openRes(hex`01`, undefined, hex`31`, fields.serverId, undefined),
                signedListRes(hex`02`, undefined, writeSignedList(fields), signature),
                closeRes(hex`03`),
            ])
        ;(ds as any).sleep(0)
    }
    return done
})
