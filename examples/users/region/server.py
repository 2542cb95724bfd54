"""The region service: ``sanic-ms run``, or ``python server.py``."""

from views import cities, provinces

from sanic_ms import Service

app = Service("region-service")
app.blueprint([provinces, cities])

if __name__ == "__main__":
    app.run()
