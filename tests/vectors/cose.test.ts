import { cose } from "../../tools/vectors/cose.ts"
import { describeVectors } from "../helpers/vector-files.ts"

const one = (file: string): [string, number, number] => [`cose-examples/${file}.json`, 1, 0]
const notSupported = (file: string): [string, number, number] => [`cose-examples/${file}.json`, 1, 1]

describeVectors("examples of the COSE working group", cose, [
    one("ecdsa-examples/ecdsa-01"),
    one("ecdsa-examples/ecdsa-sig-01"),
    one("hashsig/hashsig-01"),
    one("sign-tests/sign-pass-01"),
    one("sign-tests/sign-pass-03"),
    one("sign-tests/sign-fail-01"),
    one("sign-tests/sign-fail-03"),
    one("sign-tests/sign-fail-06"),
    one("sign1-tests/sign-pass-02"),
    one("sign1-tests/sign-fail-02"),
    one("sign1-tests/sign-fail-04"),
    one("sign1-tests/sign-fail-07"),
    one("RFC8152/Appendix_C_1_1"),
    one("RFC8152/Appendix_C_2_1"),
    notSupported("countersign/signed-01"),
    notSupported("countersign/signed1-01"),
])
