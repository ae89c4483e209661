import { createCipheriv, createDecipheriv, createHash, randomBytes, scryptSync } from "node:crypto"
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs"
import { homedir, hostname } from "node:os"
import { join } from "node:path"
import { createFile, createFolder, locked, PkiError, readText, replaceFile } from "./files.ts"
import { hssKey, hssSignature, LmsSigner, u32 } from "./lms.ts"

/** A parameter set: of each level the height of the tree and the Winternitz width; SHA-256 with 32 octets. */
export interface HssParameters {
    levels: { height: number; width: number }[]
}

/** What `plomb package` makes unless told: 1,024 signatures of 2,520 octets, verified in 22,000 steps of a board. */
export const usualParameters = "H10/W4"

/** Reads "H10/W4" or "H5/W8,H10/W4": heights 5 to 20, widths 4 or 8, one or two levels. */
export function readParameters(text: string): HssParameters {
    const levels = text.split(",").map(level => {
        const found = /^H(5|10|15|20)\/W(4|8)$/.exec(level)
        if (!found) throw new PkiError(`"${text}" is no parameter set: as H10/W4, or H5/W8,H10/W4 for two levels`)
        return { height: Number(found[1]), width: Number(found[2]) }
    })
    if (levels.length > 2) throw new PkiError(`"${text}" has more than two levels`)
    return { levels }
}

/** `state.json`: the one place that says which one-time keys are used up. */
interface State {
    format: "plomb-hss-state/1"
    /** One-time keys below this one are used up. */
    next: number
    /** Where the key lives: a copy elsewhere does not sign. */
    home: string
}

interface Secret {
    levels: HssParameters["levels"]
    identifier: string
    seed: string
}

/** Where each key's highest count is noted a second time, apart from the key: a restored backup lags behind it. */
function witnessFolder(): string {
    return process.env.PLOMB_STATE ?? join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local/state"), "plomb")
}

/**
 * An HSS key in a folder of its own: `key.pem` (mode 600), `public.hex`, `tree.bin` (public nodes, so that signing need
 * not grow the tree again) and `state.json`. A one-time key that signed two messages is a broken key, so the count is on
 * disk before a signature leaves, in the folder and in a witness outside of it, and a folder that was copied or restored
 * does not sign. There is no backup function: who loses this key certifies a new one.
 */
export class HssKey {
    private constructor(
        readonly folder: string,
        private readonly secret: Secret,
        private readonly root: LmsSigner,
    ) {}

    /** Makes a key in a folder that must not exist. A tree of height 10 takes a second or two, of 15 a minute. */
    static async create(folder: string, parameters: HssParameters, passphrase?: string): Promise<HssKey> {
        const secret: Secret = {
            levels: parameters.levels,
            identifier: randomBytes(16).toString("hex"),
            seed: randomBytes(32).toString("hex"),
        }
        const root = rootOf(secret)
        await createFolder(folder, async partial => {
            createFile(join(partial, "key.pem"), seal(secret, passphrase), true)
            createFile(join(partial, "tree.bin"), root.tree)
            createFile(join(partial, "public.hex"), `${hssKey(secret.levels.length, root).toString("hex")}\n`)
        })
        const key = new HssKey(folder, secret, root)
        key.save(0)
        return key
    }

    /** Opens the key of a folder. Throws `PkiError` where it is damaged or the passphrase is wrong. */
    static open(folder: string, passphrase?: string): HssKey {
        const secret = unseal(join(folder, "key.pem"), passphrase)
        const path = join(folder, "tree.bin")
        const root = rootOf(secret, existsSync(path) ? readFileSync(path) : undefined)
        if (!hssKey(secret.levels.length, root).equals(readPublic(folder)))
            throw new PkiError(`${folder}: key.pem, tree.bin and public.hex are not of one key`)
        return new HssKey(folder, secret, root)
    }

    get publicKey(): Buffer {
        return hssKey(this.secret.levels.length, this.root)
    }

    /** Signatures left of all. Throws where the count can not be trusted. */
    remaining(): { left: number; of: number } {
        const of = this.total()
        return { left: of - this.count(), of }
    }

    /**
     * Signs what `message` gives once the one-time key is used up on disk, and answers the signature. Throws `PkiError`
     * where none is left, the folder is a copy, or it was restored from a backup.
     */
    sign(message: Uint8Array): Promise<Buffer> {
        return locked(this.folder, async () => {
            const index = this.count()
            if (index >= this.total()) throw new PkiError(`${this.folder}: all ${this.total()} signatures are used up`)
            this.save(index + 1)
            return this.signWith(index, message)
        })
    }

    private signWith(index: number, message: Uint8Array): Buffer {
        if (this.secret.levels.length === 1)
            return hssSignature(this.root.sign(index, randomizer(this.root, index), message))
        const { height, width } = this.secret.levels[1]
        const parent = Math.floor(index / 2 ** height)
        const leaf = index % 2 ** height
        const path = join(this.folder, `tree-${parent}.bin`)
        const grown = existsSync(path) ? readFileSync(path) : undefined
        const second = new LmsSigner(4 + height / 5, width === 4 ? 3 : 4, ...childOf(this.root, parent), grown)
        if (!grown) replaceFile(path, second.tree)
        // The same message and randomizer each time: one signature, though it is made again for each leaf below it.
        const certified = this.root.sign(parent, randomizer(this.root, parent), second.publicKey)
        return hssSignature(second.sign(leaf, randomizer(second, leaf), message), certified, second.publicKey)
    }

    private total(): number {
        return 2 ** this.secret.levels.reduce((sum, level) => sum + level.height, 0)
    }

    /** The next one-time key that may be used. */
    private count(): number {
        const state = readState(this.folder)
        if (state.home !== homeOf(this.folder))
            throw new PkiError(
                `${this.folder} is a copy: its key lives elsewhere and would sign twice with one-time keys. Sign there, or certify a new key`,
            )
        const witness = this.witness()
        if (witness === undefined)
            throw new PkiError(
                `${this.folder}: nothing in ${witnessFolder()} knows how far this key was used. Was it brought here from a backup? Certify a new key`,
            )
        if (witness > state.next)
            throw new PkiError(
                `${this.folder} says ${state.next} signatures are used up, but it was ${witness}: restored from a backup. It does not sign again; certify a new key`,
            )
        return state.next
    }

    private witnessPath(): string {
        return join(witnessFolder(), `hss-${createHash("sha256").update(this.publicKey).digest("hex").slice(0, 32)}`)
    }

    private witness(): number | undefined {
        const path = this.witnessPath()
        return existsSync(path) ? Number(readText(path)) : undefined
    }

    /** On disk, in both places, when this returns. */
    private save(next: number): void {
        mkdirSync(witnessFolder(), { recursive: true, mode: 0o700 })
        replaceFile(this.witnessPath(), `${next}\n`)
        syncFolder(witnessFolder())
        const state: State = { format: "plomb-hss-state/1", next, home: homeOf(this.folder) }
        replaceFile(join(this.folder, "state.json"), `${JSON.stringify(state)}\n`)
        syncFolder(this.folder)
    }
}

/** Makes the HSS key of the party in `party`: its folder `hss`, parameters as `readParameters` takes them. */
export function makeHss(party: string, parameters: string, passphrase?: string): Promise<HssKey> {
    return HssKey.create(join(party, "hss"), readParameters(parameters), passphrase)
}

/** The public key of a key's folder. */
export function readPublic(folder: string): Buffer {
    const key = Buffer.from(readText(join(folder, "public.hex")).trim(), "hex")
    if (key.length !== 60) throw new PkiError(`${folder}/public.hex is no HSS public key`)
    return key
}

function rootOf(secret: Secret, tree?: Buffer): LmsSigner {
    const { height, width } = secret.levels[0]
    const [id, seed] = [secret.identifier, secret.seed].map(text => Buffer.from(text, "hex"))
    if (tree && tree.length !== 2 ** (height + 1) * 32) tree = undefined
    return new LmsSigner(4 + height / 5, width === 4 ? 3 : 4, id, seed, tree)
}

/** Identifier and seed of the tree below leaf `q`, in the manner of RFC 8554 appendix A with an index it does not use. */
function childOf(parent: LmsSigner, q: number): [Buffer, Buffer] {
    const of = (mark: number) =>
        createHash("sha256")
            .update(parent.identifier)
            .update(u32(q))
            .update(Buffer.of(0xff, mark, 0xff))
            .update(parent.seed)
            .digest()
    return [of(0xfe).subarray(0, 16), of(0xfd)]
}

/** The randomizer of a one-time key: secret and of its own, without a random source that could fail. */
function randomizer(signer: LmsSigner, q: number): Buffer {
    return createHash("sha256")
        .update(signer.identifier)
        .update(u32(q))
        .update(Buffer.of(0xff, 0xfc, 0xff))
        .update(signer.seed)
        .digest()
}

/** The folder itself on this machine: a copy has another inode, another machine another name. */
function homeOf(folder: string): string {
    const { dev, ino } = statSync(folder)
    return createHash("sha256").update(`${hostname()} ${dev} ${ino}`).digest("hex").slice(0, 32)
}

function readState(folder: string): State {
    const path = join(folder, "state.json")
    try {
        const state = JSON.parse(readText(path)) as State
        if (state.format === "plomb-hss-state/1" && Number.isSafeInteger(state.next) && state.next >= 0) return state
    } catch (error) {
        if (error instanceof PkiError) throw error
    }
    throw new PkiError(`${path} is damaged: nobody knows which one-time keys are used up, so this key signs no more`)
}

function syncFolder(path: string): void {
    const handle = openSync(path, "r")
    try {
        fsyncSync(handle)
    } finally {
        closeSync(handle)
    }
}

const label = "PLOMB HSS PRIVATE KEY"

function seal(secret: Secret, passphrase?: string): string {
    let body = Buffer.from(JSON.stringify(secret))
    if (passphrase !== undefined) {
        const salt = randomBytes(16)
        const iv = randomBytes(12)
        const cipher = createCipheriv("aes-256-gcm", derive(passphrase, salt), iv)
        body = Buffer.concat([salt, iv, cipher.update(body), cipher.final(), cipher.getAuthTag()])
    }
    const kind = passphrase === undefined ? label : `ENCRYPTED ${label}`
    const lines = body.toString("base64").match(/.{1,64}/g)!
    return `-----BEGIN ${kind}-----\n${lines.join("\n")}\n-----END ${kind}-----\n`
}

function unseal(path: string, passphrase?: string): Secret {
    const found = /-----BEGIN (ENCRYPTED )?PLOMB HSS PRIVATE KEY-----\n([^-]+)-----END/.exec(readText(path))
    if (!found) throw new PkiError(`${path} is no HSS key`)
    let body = Buffer.from(found[2], "base64")
    if (found[1]) {
        if (passphrase === undefined)
            throw new PkiError(`${path} is encrypted: give --passphrase-file or --passphrase-env`)
        try {
            const cipher = createDecipheriv(
                "aes-256-gcm",
                derive(passphrase, body.subarray(0, 16)),
                body.subarray(16, 28),
            )
            cipher.setAuthTag(body.subarray(-16))
            body = Buffer.concat([cipher.update(body.subarray(28, -16)), cipher.final()])
        } catch {
            throw new PkiError(`${path} does not open: wrong passphrase`)
        }
    }
    return JSON.parse(body.toString()) as Secret
}

function derive(passphrase: string, salt: Uint8Array): Buffer {
    return scryptSync(passphrase, salt, 32, { N: 32768, r: 8, p: 1, maxmem: 64 << 20 })
}
