// The networks: onnxruntime-web and two exports, all from this site.

export class LoadError extends Error {}

const FOLDER = new URL(".", import.meta.url);
const RUNTIME = new URL("onnxruntime-web/", FOLDER);

async function fetchFile(name) {
  const answer = await fetch(new URL(`networks/${name}`, FOLDER)).catch(() => null);
  if (!answer?.ok) throw new LoadError(`${name} could not be loaded from this site.`);
  return answer;
}

/** Return the signature of an export; docs/export.md says what stands in it. */
export async function loadSignature(name) {
  return (await fetchFile(`${name}-signature.json`)).json();
}

/** Return what docs/demo/make.py measured of the networks. */
export async function loadMeasured() {
  return (await fetchFile("measured.json")).json();
}

/**
 * Return onnxruntime-web.
 *
 * @throws {LoadError} in words for the visitor.
 */
export async function loadRuntime() {
  if (typeof WebAssembly !== "object") {
    throw new LoadError("This browser has no WebAssembly, or it is switched off.");
  }
  const address = new URL("ort.wasm.min.mjs", RUNTIME);
  let ort;
  try {
    ort = await import(address);
  } catch {
    throw new LoadError(
      "This site was built without onnxruntime-web, as it could not be fetched then: run " +
        "“make docs” again, with a network.",
    );
  }
  ort.env.wasm.wasmPaths = RUNTIME.href;
  // More threads want headers that a simple file server does not send.
  ort.env.wasm.numThreads = 1;
  return ort;
}

export class Network {
  constructor(ort, session, signature) {
    Object.assign(this, { ort, session, signature });
  }

  /** Load the export of a name. */
  static async load(ort, name) {
    const signature = await loadSignature(name);
    const bytes = new Uint8Array(await (await fetchFile(`${name}.onnx`)).arrayBuffer());
    try {
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
      return new Network(ort, session, signature);
    } catch (error) {
      throw new LoadError(`onnxruntime-web cannot start ${name}: ${error.message}`);
    }
  }

  /**
   * Return the pose in a picture: joints (J, 2), px, and motion (P,) or null for direct joint.
   *
   * @param {Uint8Array} pixels 0 or 1, row by row.
   */
  async predict(pixels) {
    const [input] = this.signature.inputs;
    const shape = [1, ...input.shape.slice(1)];
    const data = new this.ort.Tensor(input.dtype, Float32Array.from(pixels), shape);
    const found = await this.session.run({ [input.name]: data });
    const joints = Array.from(found.joints.data);
    return {
      joints: joints.flatMap((x, i) => (i % 2 ? [] : [[x, joints[i + 1]]])),
      motion: found.motion ? Array.from(found.motion.data) : null,
    };
  }
}
