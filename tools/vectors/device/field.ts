import { verifyP256 } from "../../../firmware/core/ecdsa"
import { installDevicePlatform } from "../../../hal/runtime"
import { answer } from "./field-answer"
import { serve } from "./serve"

installDevicePlatform(verifyP256)
serve(4096, answer)
