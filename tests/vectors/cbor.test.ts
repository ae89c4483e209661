import { existsSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { cbor } from "../../tools/vectors/cbor.ts"
import { askNode } from "../../tools/vectors/run.ts"
import { vectorPath } from "../extras.ts"
import { describeVectors } from "../helpers/vector-files.ts"

const path = vectorPath("cbor-appendix-a/appendix_a.json")

describeVectors("examples of RFC 8949 appendix A", cbor, [["cbor-appendix-a/appendix_a.json", 41, 18]])

it.skipIf(!existsSync(path))(
    "an example is listed as not supported only where the core refuses it for its kind",
    () => {
        const cases = cbor.cases(JSON.parse(readFileSync(path, "utf8")), path)
        for (const each of cases.filter(each => "unsupported" in each))
            expect([each.id, askNode(cbor, Buffer.from(each.id, "hex"))]).toEqual([
                each.id,
                expect.objectContaining({ error: Code.CborUnsupported }),
            ])
    },
)
