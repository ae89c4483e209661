import { aead } from "./aead.ts"
import { cbor } from "./cbor.ts"
import { cmac } from "./cmac.ts"
import { cose } from "./cose.ts"
import { dlms } from "./dlms.ts"
import { ecdsa } from "./ecdsa.ts"
import type { Format } from "./format.ts"
import { iec62056 } from "./iec62056.ts"
import { kdf } from "./kdf.ts"
import { lms } from "./lms.ts"
import { mbus } from "./mbus.ts"
import { safe } from "./safe.ts"
import { sml } from "./sml.ts"
import { tls } from "./tls.ts"
import { wmbus } from "./wmbus.ts"
import { x509 } from "./x509.ts"

/** Every format that the core is put to. */
export const formats: Format[] = [
    wmbus,
    ecdsa,
    aead,
    kdf,
    x509,
    sml,
    safe,
    lms,
    cbor,
    cose,
    tls,
    cmac,
    mbus,
    iec62056,
    dlms,
]
