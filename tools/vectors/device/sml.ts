import * as ds from "@devicescript/core"
import { installDevicePlatform } from "../../../hal/runtime"
import { serve } from "./serve"
import { answer } from "./sml-answer"

installDevicePlatform(() => false)
serve(5000, answer)
ds.restart()
