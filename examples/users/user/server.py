"""The user service: ``sanic-ms run``, or ``python server.py``."""

from views import users

from sanic_ms import Service
from sanic_ms.client import Client

app = Service("user-service")
app.blueprint(users)


@app.before_server_start
async def connect(app):
    app.region_client = Client("region-service", app=app)
    app.role_client = Client("role-service", app=app)


if __name__ == "__main__":
    app.run()
