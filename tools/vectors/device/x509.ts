import * as ds from "@devicescript/core"
import { verifyP256 } from "../../../firmware/core/ecdsa"
import { installDevicePlatform } from "../../../hal/runtime"
import { serve } from "./serve"
import { answer } from "./x509-answer"

installDevicePlatform(verifyP256)
serve(8192, answer)
ds.restart()
