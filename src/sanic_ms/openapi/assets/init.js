// Starts Swagger UI on the page's own document. Where that is stands on the page, not in this file,
// so that the page needs no inline script.
"use strict";

const root = document.getElementById("swagger-ui");

SwaggerUIBundle({
  url: new URL(root.dataset.spec, window.location.href).href,
  domNode: root,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null, // the default sends the document's address to a server on the internet
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
