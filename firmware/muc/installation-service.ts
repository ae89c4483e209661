import * as ds from "@devicescript/core"
import { Server, startServer } from "@devicescript/server"
import type { KeyCustody } from "../../hal/ports"
import { CRC_BAD } from "../core/crc16"
import { Code, fail } from "../core/errors"
import { cut, join } from "../core/octets"
import { attempt, codeOf, LongAnswer } from "../core/service-answer"
import { readFile } from "../core/sml-read"
import { OPEN_REQ } from "../core/sml-tables"
import type { Functions } from "./functions"
import type { Installation } from "./installation"

/**
 * The Jacdac service that `plomb commission` talks to (services/installation.md). Only translation: every rule is in
 * `Installation`. A command with several fields reaches DeviceScript as one array.
 */
class InstallationServer extends Server implements ds.InstallationServerSpec {
    private readonly answer: LongAnswer

    constructor(
        private readonly installation: Installation,
        private readonly custody: KeyCustody,
        private readonly functions: Functions,
    ) {
        super(ds.Installation.spec)
        this.answer = new LongAnswer()
    }

    step(): number {
        return this.installation.identity.step()
    }

    identify(): [number, number, number, number, Buffer] {
        const identity = this.installation.identity
        let bits = 0
        let code = 0
        try {
            const state = this.custody.state()
            bits = (state.configured ? 1 : 0) | (state.keyPresent ? 2 : 0) | (state.sealed ? 4 : 0)
        } catch (e: any) {
            code = codeOf(e)
        }
        const who = join([identity.serverId, identity.hardware()])
        return [code, identity.step(), this.custody.protection, bits, who]
    }

    put(args: any): number {
        const installation = this.installation
        return attempt(() => installation.put(args[1], args[0], args[2]))
    }

    close(args: any): number {
        const installation = this.installation
        return attempt(() => installation.close(args[1], args[0]))
    }

    produce(hardware: Buffer): number {
        const installation = this.installation
        return attempt(() => installation.produce(hardware))
    }

    certify(utcSeconds: number): number {
        const installation = this.installation
        return attempt(() => installation.certify(utcSeconds))
    }

    deliver(): number {
        const installation = this.installation
        return attempt(() => installation.deliver())
    }

    putKey(args: any): number {
        const installation = this.installation
        const length = args[1]
        const rest = args[2]
        return attempt(() =>
            installation.putKey(args[0], cut(rest, 0, length), cut(rest, length, rest.length - length)),
        )
    }

    install(utcSeconds: number): number {
        const installation = this.installation
        return attempt(() => installation.install(utcSeconds))
    }

    makeKey(): [number, number] {
        const installation = this.installation
        return this.answer.prepare(() => installation.makeKey())
    }

    held(): [number, number] {
        const keys = this.installation.keys
        return this.answer.prepare(() => {
            const parts: Buffer[] = []
            keys.items().forEach(item => {
                parts.push(Buffer.from([item.length]))
                parts.push(item)
            })
            return join(parts)
        })
    }

    order(length: number): [number, number] {
        const installation = this.installation
        const functions = this.functions
        return this.answer.prepare(() => {
            const file = readFile(installation.takeArea(length), false, CRC_BAD)
            if (file.messages[0].tag !== OPEN_REQ) fail(Code.CommandForm, 0, "a command", "another file")
            return functions.answer(file)
        })
    }

    fetch(offset: number): [number, Buffer] {
        return this.answer.fetch(offset)
    }
}

/** Offers the installation service on the board's Jacdac link. */
export function startInstallationService(installation: Installation, custody: KeyCustody, functions: Functions): void {
    startServer(new InstallationServer(installation, custody, functions))
}
