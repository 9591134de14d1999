/* Show Swagger UI. In a file, because the page's policy allows no scripts within the page. */
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, showExtensions: true,
  showCommonExtensions: true, tryItOutEnabled: true });
