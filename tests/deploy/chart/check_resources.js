// Reads custom resources, a JSON array, and writes what their published schemas say is wrong with each, null where
// nothing is. The schemas are those of the packages @kubernetes-models/*. They let unknown fields pass, so a field that
// the schema never looked at is an error too.
const PACKAGES = ["@kubernetes-models/gke", "@kubernetes-models/gateway-api"];

function model(resource) {
  for (const name of PACKAGES) {
    try {
      return require(`${name}/${resource.apiVersion}/${resource.kind}`)[resource.kind];
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" && error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error;
    }
  }
  return null;
}

// The object with a note of each path in it that was asked for.
function watched(object, asked, path = "") {
  return new Proxy(object, {
    get(target, field) {
      const value = Reflect.get(target, field);
      if (typeof field !== "string" || typeof value === "function") return value;
      const here = `${path}/${field}`;
      asked.add(here);
      return value !== null && typeof value === "object" ? watched(value, asked, here) : value;
    },
  });
}

function unknown(object, asked, path = "") {
  return Object.entries(object).flatMap(([field, value]) => {
    const here = `${path}/${field}`;
    if (!asked.has(here)) return [here];
    return value !== null && typeof value === "object" ? unknown(value, asked, here) : [];
  });
}

function fault(resource) {
  const Model = model(resource);
  if (Model === null) return `no schema of ${resource.apiVersion} ${resource.kind}`;
  const { metadata, ...own } = resource;
  const asked = new Set();
  try {
    Model.prototype.validate.call(watched(new Model(own), asked));
  } catch (error) {
    return error.message;
  }
  const fields = unknown(own, asked);
  return fields.length ? `fields that the schema does not know: ${fields.join(", ")}` : null;
}

const resources = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(resources.map(fault)));
