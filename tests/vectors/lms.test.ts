import { lms } from "../../tools/vectors/lms.ts"
import { describeVectors } from "../helpers/vector-files.ts"

describeVectors("public vectors of HSS, LMS and LM-OTS", lms, [
    ["lms-botan/hss.json", 3, 0],
    ["lms-tf-psa-crypto/lms.json", 10, 0],
    ["nist-acvp/LMS-sigVer-1.0.json", 4, 0],
    ["nist-acvp/LMS-sigVer-SP800-208.json", 4, 0],
    ["nist-acvp/LMS-sigGen-1.0.json", 6, 0],
])
