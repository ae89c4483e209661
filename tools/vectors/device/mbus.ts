import { verifyP256 } from "../../../firmware/core/ecdsa"
import { installDevicePlatform } from "../../../hal/runtime"
import { answer } from "./mbus-answer"
import { serve } from "./serve"

installDevicePlatform(verifyP256)
serve(8192, answer)
