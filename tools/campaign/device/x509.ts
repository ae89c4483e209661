import * as ds from "@devicescript/core"
import { installDevicePlatform } from "../../../hal/runtime"
import { serve } from "../../vectors/device/serve"
import { answer } from "../../vectors/device/x509-answer"

// The parsers are the subject: every signature of a request is taken to hold, so that none costs its time.
installDevicePlatform(() => true)
serve(4096, answer)
ds.restart()
