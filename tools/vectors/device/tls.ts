import { verifyP256 } from "../../../firmware/core/ecdsa"
import { installDevicePlatform } from "../../../hal/runtime"
import { serve } from "./serve"
import { answer } from "./tls-answer"

installDevicePlatform(verifyP256)
serve(4096, answer)
